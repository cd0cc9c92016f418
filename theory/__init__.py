"""What the paper claims, as functions: exact values, Monte Carlo, proofs. Needs NumPy, SciPy and SymPy alone."""
