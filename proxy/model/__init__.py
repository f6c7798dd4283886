"""Floor 0: frozen values that every other floor speaks in. No behaviour beyond reading themselves."""
