"""The hosted pages: Checkout, 3D Secure, onboarding; plain forms under a loud banner."""
