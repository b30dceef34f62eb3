package lr

// Forget takes an estimator out of the registry again.
func Forget(name string) { registry.Remove(name) }
