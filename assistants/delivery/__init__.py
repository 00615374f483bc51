"""People's replies on their way to visitors outside our pages: by e-mail and WeChat."""
