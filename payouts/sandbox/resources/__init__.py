"""Stripe's objects, one module each: parameters, endpoints, and what happens to them."""
