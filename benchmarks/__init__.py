"""What a call costs, ours and the real server's in one sitting."""
