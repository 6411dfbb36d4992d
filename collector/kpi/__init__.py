"""Success rates and what is missing, from counters and slots owed."""
