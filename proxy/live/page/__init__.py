"""What the admin port shows to people: the page, the events that keep it true, and the playground."""
