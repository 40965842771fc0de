"""What is checked of a sweep before anything starts, every problem at once, and the plan shown then."""
