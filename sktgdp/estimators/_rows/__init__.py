"""Rows and labels as the user has them, checked, and in the networks' units."""
