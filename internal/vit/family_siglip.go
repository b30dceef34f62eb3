package vit

// SigLIP is the vision tower of SigLIP (Zhai et al. 2023, arXiv 2303.15343): no
// cls token, and pooling by attention, which a classifier of transformers' own
// leaves out for the mean of all rows.
func SigLIP(a Arch, pool Pool) Encoder {
	if a.Act == NoAct {
		a.Act = TanhGELU
	}
	return Encoder{Arch: a, Names: clipNames(), NoCls: true, FinalNorm: true, Pool: pool, Bare: true}
}
