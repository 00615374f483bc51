"""Signed POSTs to a team's own programs, as https://www.standardwebhooks.com describes them."""
