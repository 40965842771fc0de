"""Normalising flows apart from their training: invertible layers whose Jacobian is known, and densities."""
