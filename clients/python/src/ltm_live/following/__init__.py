"""Following an LTM: events, the view, and what a follower knows between its connections."""
