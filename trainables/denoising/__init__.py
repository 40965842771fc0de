"""Diffusion apart from its training: paths from data to noise, what a network predicts, samplers, guidance.

A path says how much of an image and how much noise there is at a time t: x_t = alpha(t) x_0 + sigma(t) eps,
with t from 0 (data) to 1 (noise). A denoiser guesses x_0 and eps from x_t. Samplers need nothing else.
"""
