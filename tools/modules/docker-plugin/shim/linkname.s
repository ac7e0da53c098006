// Empty: it lets shim.go declare a function whose body is elsewhere.
