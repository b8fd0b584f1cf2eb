"""What can an operator see? Metrics, health and status, over HTTP."""
