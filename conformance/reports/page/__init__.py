"""The page: results as one HTML file that works without a network."""
