package parts

func init() {
	Register(All, func(Network) (Chosen, error) { return Chosen{}, nil }).Is(Whole, Maps)
}
