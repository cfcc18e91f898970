"""Scripts that make what the repository ships, and long checks of it; no part of the package."""
