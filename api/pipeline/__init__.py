"""What every request passes: dispatcher, route, admission, a decision or a read, answer."""
