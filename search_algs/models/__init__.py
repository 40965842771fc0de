"""What algorithms believe about results: a Gaussian process, and how deep a result must be to be believed."""
