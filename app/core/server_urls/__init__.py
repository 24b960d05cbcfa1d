"""URLs of servers as hosting providers issue them, and the connect arguments made from them."""
