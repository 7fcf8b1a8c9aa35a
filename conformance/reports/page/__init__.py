"""The page: results as one HTML file that needs no network."""
