"""What is kept on disk: models, checkpoints, and fits that a search reads again."""
