"""Running cases on implementations: loading adapters, the runner, negative controls, and worker pools."""
