"""Chat with Google Maps: users and their sessions, as Better Auth keeps them."""
