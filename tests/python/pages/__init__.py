"""What pages_check.py is made of."""
