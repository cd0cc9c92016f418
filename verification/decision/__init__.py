"""The upgrade decision, whole: retrieval and accept thresholds beside Definition 1."""
