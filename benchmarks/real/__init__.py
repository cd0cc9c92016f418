"""Real encoders: upgrades between models that ship in packages, each judged against its whole collection."""
