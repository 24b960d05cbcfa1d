"""Parse URLs of servers as hosting providers issue them, and build connect arguments."""
