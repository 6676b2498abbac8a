"""How networks are trained: batches, objectives, the loop, and what may go wrong in it."""
