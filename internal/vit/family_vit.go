package vit

// ViT is the encoder of a ViTForImageClassification.
func ViT(a Arch) Encoder { return Encoder{Arch: a, Names: bertNames("vit."), FinalNorm: true} }

// IJEPA is the encoder of I-JEPA (Assran et al. 2023, arXiv 2301.08243): no cls
// token, and a classifier of the mean.
func IJEPA(a Arch) Encoder {
	e := Encoder{Arch: a, Names: bertNames("ijepa."), NoCls: true, FinalNorm: true, Pool: PoolMean}
	return e
}

// DeiT has a second token that learns from a teacher (Touvron et al. 2021, arXiv
// 2012.12877). With both heads the logits are the mean of a classifier of each of
// the two tokens; else the cls row alone is read.
func DeiT(a Arch, heads bool) Encoder {
	e := Encoder{Arch: a, Names: bertNames("deit."), Dist: true, FinalNorm: true}
	if heads {
		e.Pool, e.Names.Classifier, e.Names.Distilled = PoolHeads, "cls_classifier", "distillation_classifier"
	}
	return e
}
