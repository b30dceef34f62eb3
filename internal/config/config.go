// Package config reads an experiment: strict YAML with defaults, environment
// values, `--set a.b=c` overrides and one Validate that knows every rule. The
// structs below are the whole vocabulary; a key that is not here is an error
// that names the nearest one that is.
package config

// Config is one experiment (DESIGN section 8). Zero values are never defaults
// by accident: Default fills them and Validate refuses what makes no sense.
type Config struct {
	Name       string     `yaml:"name"`
	Extends    string     `yaml:"extends"`
	Model      Model      `yaml:"model"`
	Data       Data       `yaml:"data"`
	Sites      Sites      `yaml:"sites"`
	Estimator  Estimator  `yaml:"estimator"`
	Allocator  Allocator  `yaml:"allocator"`
	Budget     Budget     `yaml:"budget"`
	Optimizer  Optimizer  `yaml:"optimizer"`
	Objective  Objective  `yaml:"objective"`
	Prompt     Prompt     `yaml:"prompt"`
	Train      Train      `yaml:"train"`
	Checkpoint Checkpoint `yaml:"checkpoint"`
}

// Model says what is trained: a folder in Hugging Face layout, a new network
// of given sizes, or a model that can only be called.
type Model struct {
	Kind string `yaml:"kind"` // local | remote | command
	Path string `yaml:"path"` // local: folder; empty: a new network of Arch
	Arch Arch   `yaml:"arch"`

	URL       string   `yaml:"url"`        // remote: scheme://host:port
	Name      string   `yaml:"name"`       // remote: the model's name on the server
	Argv      []string `yaml:"argv"`       // command: program and arguments
	Binary    string   `yaml:"binary"`     // remote: auto | always | never (Triton's binary tensors)
	InFlight  int      `yaml:"in_flight"`  // requests under way at once
	MaxBatch  int      `yaml:"max_batch"`  // images of one request
	Timeout   string   `yaml:"timeout"`    // of one request, a Go duration
	Retries   int      `yaml:"retries"`    // tries after the first
	TokenEnv  string   `yaml:"token_env"`  // environment variable that holds the bearer token
	TokenFile string   `yaml:"token_file"` // file that holds the bearer token
	CAFile    string   `yaml:"ca_file"`    // PEM certificates to trust
}

// Arch sizes a new network.
type Arch struct {
	Image   int `yaml:"image"`
	Patch   int `yaml:"patch"`
	Chans   int `yaml:"channels"`
	Hidden  int `yaml:"hidden"`
	Layers  int `yaml:"layers"`
	Heads   int `yaml:"heads"`
	MLP     int `yaml:"mlp"`
	Classes int `yaml:"classes"` // 0: as many as the data has
}

// Data says where the images come from and what is done to them.
type Data struct {
	Kind       string    `yaml:"kind"`  // folder | shapes | cifar10 | cifar100 | idx | parquet | tar
	Path       string    `yaml:"path"`  // all but shapes
	Train      string    `yaml:"train"` // name of the training split
	Test       string    `yaml:"test"`  // name of the test split
	Augment    []string  `yaml:"augment"`
	OnBad      string    `yaml:"on_bad"`     // refuse | skip: what a corrupt image does
	Classes    []string  `yaml:"classes"`    // keep these classes only, in this order
	FewShot    int       `yaml:"few_shot"`   // images per class, 0: all
	Validation float64   `yaml:"validation"` // share of the training images held out, 0: none
	SplitSeed  int64     `yaml:"split_seed"`
	Count      int       `yaml:"count"`      // shapes: training images
	TestCount  int       `yaml:"test_count"` // shapes: test images
	Size       int       `yaml:"size"`       // shapes: pixels
	Mean       []float32 `yaml:"mean"`       // per channel; empty: the model's preprocessor, else 0.5
	Std        []float32 `yaml:"std"`
	Workers    int       `yaml:"workers"`   // decoding goroutines, 0: every core
	ImageKey   string    `yaml:"image_key"` // parquet: the image column
	LabelKey   string    `yaml:"label_key"` // parquet: the label column
}

// Sites says what is trained.
type Sites struct {
	Blocks     string   `yaml:"blocks"` // all | none | last-N | "3,4,5"
	Kinds      []string `yaml:"kinds"`
	Classifier bool     `yaml:"classifier"`
	PatchEmbed bool     `yaml:"patch_embed"`
	Params     []string `yaml:"params"` // norm | cls_token | position: perturbed directly (3.2); absent ones stay fixed
}

// Estimator says how the gradient is estimated.
type Estimator struct {
	Name           string  `yaml:"name"`     // activation | weight | bp
	Schedule       string  `yaml:"schedule"` // activation: per_site | joint | random_site; weight: all | tensor
	Antithetic     bool    `yaml:"antithetic"`
	Sigma          float64 `yaml:"sigma"`
	LearnSigma     bool    `yaml:"learn_sigma"`
	SigmaLR        float64 `yaml:"sigma_lr"`
	StructuralMask bool    `yaml:"structural_mask"`
	Noise          string  `yaml:"noise"` // gaussian | rademacher
	QMC            string  `yaml:"qmc"`   // none | sobol | halton
}

// Allocator says how the queries of a step are shared among its images.
type Allocator struct {
	Name       string    `yaml:"name"` // uniform | gaussian | gaussian_released | bernoulli | neyman
	Learn      bool      `yaml:"learn"`
	MinQueries int       `yaml:"min_queries"`
	Features   string    `yaml:"features"` // loss | cls
	W          []float64 `yaml:"w"`        // the four starting parameters w0..w3
	Freeze     []string  `yaml:"freeze"`   // of w0 w1 w2 w3
	LR         float64   `yaml:"lr"`
	Decay      float64   `yaml:"decay"` // neyman: weight of the past in the exponential average
	Fallback   bool      `yaml:"fallback"`
	Window     int       `yaml:"window"` // steps of the gain that fallback looks at
}

// Budget bounds the queries.
type Budget struct {
	QueriesPerImage int   `yaml:"queries_per_image"` // mean per image and perturbed site
	MaxQueries      int64 `yaml:"max_queries"`       // total of the run, every purpose counted; 0: none
}

// Optimizer says how a gradient becomes an update.
type Optimizer struct {
	Name        string    `yaml:"name"` // sgd | adamw
	LR          float64   `yaml:"lr"`
	Momentum    float64   `yaml:"momentum"`
	Betas       []float64 `yaml:"betas"`
	Eps         float64   `yaml:"eps"`
	WeightDecay float64   `yaml:"weight_decay"`
	Schedule    string    `yaml:"schedule"` // constant | cosine | step
	Warmup      int       `yaml:"warmup"`
	StepSize    int       `yaml:"step_size"`
	Gamma       float64   `yaml:"gamma"`
	MinLR       float64   `yaml:"min_lr"`
	Clip        float64   `yaml:"clip"` // largest norm of the gradient, 0: none
}

// Objective says what is minimised.
type Objective struct {
	Kind             string  `yaml:"kind"`       // cross_entropy | accuracy | contrastive
	Embeddings       string  `yaml:"embeddings"` // contrastive: .safetensors, .npy or .parquet
	Pairing          string  `yaml:"pairing"`    // contrastive: class | image
	Temperature      float64 `yaml:"temperature"`
	LearnTemperature bool    `yaml:"learn_temperature"`
}

// Prompt says what is learned in front of a frozen model.
type Prompt struct {
	Kind    string  `yaml:"kind"`  // none | frame | tokens
	Width   int     `yaml:"width"` // frame: pixels
	Mode    string  `yaml:"mode"`  // frame: over | around
	Count   int     `yaml:"count"` // tokens
	Mapping Mapping `yaml:"mapping"`
}

// Mapping turns the model's classes into the task's.
type Mapping struct {
	Kind   string `yaml:"kind"`   // identity | given | learned
	Given  []int  `yaml:"given"`  // given: the model's class of each task class
	Images int    `yaml:"images"` // learned: images per class it looks at
}

// Train says how long and on what.
type Train struct {
	Steps          int     `yaml:"steps"`
	BatchSize      int     `yaml:"batch_size"`
	Seed           int64   `yaml:"seed"`
	EvalEvery      int     `yaml:"eval_every"`  // 0: at the end only
	EvalImages     int     `yaml:"eval_images"` // 0: the whole test split
	LogEvery       int     `yaml:"log_every"`
	Threads        int     `yaml:"threads"`       // 0: every core
	Device         string  `yaml:"device"`        // auto | cpu | cuda | cuda:N
	Precision      string  `yaml:"precision"`     // fp32 | tf32 | bf16 (CUDA)
	OnDivergence   string  `yaml:"on_divergence"` // stop | rollback
	RollbackFactor float64 `yaml:"rollback_factor"`
	MaxRollbacks   int     `yaml:"max_rollbacks"`
}

// Checkpoint says what is saved and kept.
type Checkpoint struct {
	Every    int  `yaml:"every"` // steps; 0: at the end only
	KeepLast int  `yaml:"keep_last"`
	KeepBest bool `yaml:"keep_best"`
}

// Default is the experiment that an empty file describes, less its data.
func Default() Config {
	return Config{
		Model: Model{Kind: "local", Binary: "auto", InFlight: 4, MaxBatch: 64, Timeout: "30s", Retries: 5,
			Arch: Arch{Image: 32, Patch: 4, Chans: 3, Hidden: 128, Layers: 6, Heads: 4, MLP: 512}},
		Data: Data{Kind: "folder", Train: "train", Test: "test", OnBad: "refuse", Count: 2000, TestCount: 500, Size: 32},
		Sites: Sites{Blocks: "last-1", Classifier: true,
			Kinds: []string{"query", "key", "value", "attn_out", "mlp_in", "mlp_out"}},
		Estimator: Estimator{Name: "activation", Antithetic: true, Sigma: 0.01, SigmaLR: 0.01,
			StructuralMask: true, Noise: "gaussian", QMC: "none"},
		Allocator: Allocator{Name: "gaussian", Learn: true, MinQueries: 2, Features: "cls",
			LR: 0.05, Decay: 0.7, Window: 50},
		Budget: Budget{QueriesPerImage: 8},
		Optimizer: Optimizer{Name: "adamw", LR: 1e-3, Momentum: 0.9, Betas: []float64{0.9, 0.999}, Eps: 1e-8,
			Schedule: "constant", StepSize: 100, Gamma: 0.1, Clip: 0},
		Objective: Objective{Kind: "cross_entropy", Pairing: "class", Temperature: 0.07},
		Prompt:    Prompt{Kind: "none", Width: 4, Mode: "over", Count: 8, Mapping: Mapping{Kind: "identity", Images: 16}},
		Train: Train{Steps: 100, BatchSize: 64, LogEvery: 1, Device: "auto", Precision: "fp32",
			OnDivergence: "stop", RollbackFactor: 0.5, MaxRollbacks: 3},
		Checkpoint: Checkpoint{KeepLast: 2, KeepBest: true},
	}
}
