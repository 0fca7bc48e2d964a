"""The live room as a fact: who is in it, on which stage, when, and who may see it."""
