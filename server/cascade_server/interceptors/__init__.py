"""What happens to every request, whichever it is: it is read, timed, counted, logged and answered."""
