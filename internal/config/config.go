// Package config reads an experiment: strict YAML with defaults, environment
// values, `--set a.b=c` overrides and one Validate that knows every rule. The
// structs below are the vocabulary, with what the registered allocators,
// estimators, objectives and optimizers add to their sections (own.go); a key
// that is in neither is an error that names the nearest one that is.
package config

import (
	"github.com/flops-vit/flops/internal/parts"
	"github.com/flops-vit/flops/internal/settings"
)

// Config is one experiment. Zero values are never defaults by accident: Default
// fills them and Validate refuses what makes no sense.
type Config struct {
	Name       string     `yaml:"name"`    // names the run folder; the file's name without one
	Extends    string     `yaml:"extends"` // another experiment that this one changes, relative to this file
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
	Cluster    Cluster    `yaml:"cluster"`
}

// Model says what is trained: a folder in Hugging Face layout, a new network
// of given sizes, or a model that can only be called.
type Model struct {
	Kind string `yaml:"kind"` // local | remote | command
	Path string `yaml:"path"` // local: folder; empty: a new network of Arch
	// folder of an adapter in PEFT's layout, which is merged into the model, or goes on where sites.train is lora
	Adapter string `yaml:"adapter"`
	// auto | new | zero-shot: what a classifier begins as; auto: the model's where it is of these classes, else new
	Head string `yaml:"head"`
	// texts of a class where the model's text tower is used, {} standing for its name; several are averaged
	Prompts []string `yaml:"prompts"`
	Arch    Arch     `yaml:"arch"`

	URL       string   `yaml:"url"`        // remote: scheme://host:port
	Name      string   `yaml:"name"`       // remote: the model's name on the server
	Input     string   `yaml:"input"`      // remote: the input tensor, where the metadata name none
	Output    string   `yaml:"output"`     // remote: the output tensor, where the metadata name none
	Shape     []int    `yaml:"shape"`      // remote: channels, height and width, where the metadata name none
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
	Image   int `yaml:"image"`    // pixels of a side
	Patch   int `yaml:"patch"`    // pixels of a patch's side
	Chans   int `yaml:"channels"` // colour channels
	Hidden  int `yaml:"hidden"`   // width of a token
	Layers  int `yaml:"layers"`   // encoder blocks
	Heads   int `yaml:"heads"`    // attention heads
	MLP     int `yaml:"mlp"`      // width of the feed-forward layer
	Classes int `yaml:"classes"`  // 0: as many as the data has
}

// Data says where the images come from and what is done to them.
type Data struct {
	Kind    string   `yaml:"kind"`    // folder | shapes | scenes | cifar10 | cifar100 | idx | parquet | tar
	Path    string   `yaml:"path"`    // all but shapes and scenes
	Train   string   `yaml:"train"`   // name of the training split
	Test    string   `yaml:"test"`    // name of the test split
	Augment []string `yaml:"augment"` // of flip, crop, crop_reflect: what is done to training images
	// fixed augmentations of each training image, which epochs take in turn, so that train.cache can keep them; 0: a new
	// one every epoch
	Variants int      `yaml:"variants"`
	OnBad    string   `yaml:"on_bad"`   // refuse | skip: what a corrupt image does
	EXIF     string   `yaml:"exif"`     // turn | ignore: what the orientation in a picture's metadata does
	Classes  []string `yaml:"classes"`  // keep these classes only, in this order
	FewShot  int      `yaml:"few_shot"` // images per class, 0: all
	Shots    int      `yaml:"shots"`    // another name of few_shot
	// share of the training images held out as the validation split, 0: none
	Validation float64 `yaml:"validation"`
	// name of a validation split in the data, such as val, instead of data.validation
	ValidationSplit string    `yaml:"validation_split"`
	SplitSeed       int64     `yaml:"split_seed"` // decides which images are held out and which few_shot keeps
	Count           int       `yaml:"count"`      // shapes, scenes: training images
	TestCount       int       `yaml:"test_count"` // shapes, scenes: test images
	Size            int       `yaml:"size"`       // shapes, scenes: pixels
	Mean            []float32 `yaml:"mean"`       // per channel; empty: the model's preprocessor, else 0.5
	Std             []float32 `yaml:"std"`        // per channel; empty: the model's preprocessor, else 0.5
	Workers         int       `yaml:"workers"`    // decoding goroutines, 0: every core
	ImageKey        string    `yaml:"image_key"`  // parquet: the image column
	LabelKey        string    `yaml:"label_key"`  // parquet: the label column
}

// PerClass is the images of each class that are kept, 0: all.
func (d Data) PerClass() int { return max(d.FewShot, d.Shots) }

// Sites says what is trained.
type Sites struct {
	Blocks string `yaml:"blocks"` // all | none | last-N | "3,4,5"
	// of query, key, value, attn_out, mlp_in, mlp_out: the maps trained in those blocks
	Kinds      []string `yaml:"kinds"`
	Classifier bool     `yaml:"classifier"`  // train the classifier
	PatchEmbed bool     `yaml:"patch_embed"` // train the patch embedding
	// norm | cls_token | position: perturbed directly (3.2); absent ones stay fixed
	Params []string `yaml:"params"`
	// all | bias | norm | lora | core | prompt: what of the chosen blocks is trained, beside the classifier
	Train string `yaml:"train"`

	Own settings.Values `yaml:",inline"` // settings of single parts
}

// Estimator says how the gradient is estimated.
type Estimator struct {
	Name     string `yaml:"name"`     // activation | weight | bp
	Schedule string `yaml:"schedule"` // activation: per_site | joint | random_site; weight: all | tensor
	// ask pairs +noise and -noise; else single directions with the clean loss as baseline
	Antithetic bool    `yaml:"antithetic"`
	Sigma      float64 `yaml:"sigma"` // scale of the noise
	// noise only where it can reach the loss; false reproduces the released code
	StructuralMask bool   `yaml:"structural_mask"`
	Noise          string `yaml:"noise"` // gaussian | rademacher
	QMC            string `yaml:"qmc"`   // none | sobol | halton

	Own settings.Values `yaml:",inline"` // settings of single estimators
}

// Allocator says how the queries of a step are shared among its images.
type Allocator struct {
	Name       string `yaml:"name"`        // uniform | gaussian | gaussian_released | bernoulli | neyman
	MinQueries int    `yaml:"min_queries"` // every image gets at least so many
	Fallback   bool   `yaml:"fallback"`    // return to equal shares when the measured gain over a window is not positive
	Window     int    `yaml:"window"`      // steps of the gain that fallback looks at
	// image | site | both: images differ in their counts, which every pass has alike; passes differ, by what their
	// gradients vary and cost; or both, with an allocator for every pass
	Scope string `yaml:"scope"`
	// least chance of an image to be drawn, where there is less than one query an image, as a share of that at equal
	// chances
	LeastChance float64 `yaml:"least_chance"`
	// divide the variances of each pass by the square of its gradient, as an optimizer does with its updates
	Standardise bool `yaml:"standardise"`

	Own settings.Values `yaml:",inline"` // settings of single allocators
}

// Budget bounds the queries.
type Budget struct {
	// mean per image and perturbed site; below 1 (or 2, of pairs) images are drawn that have one
	QueriesPerImage float64 `yaml:"queries_per_image"`
	MaxQueries      int64   `yaml:"max_queries"` // total of the run, every purpose counted; 0: none
	// share by which the first step has more queries than the mean and the last has fewer, evenly between; 0: all alike
	Early float64 `yaml:"early"`
	// queries | operations: what the passes share out of a step's budget, where allocator.scope is site or both
	Unit string `yaml:"unit"`
}

// Optimizer says how a gradient becomes an update.
type Optimizer struct {
	Name        string  `yaml:"name"`         // sgd | adamw | muon | spsa_gc
	LR          float64 `yaml:"lr"`           // learning rate after the warm-up
	WeightDecay float64 `yaml:"weight_decay"` // decoupled decay of the weights of linear maps, per unit of rate
	Schedule    string  `yaml:"schedule"`     // constant | cosine | step
	Warmup      int     `yaml:"warmup"`       // steps of a linear rise of the rate
	StepSize    int     `yaml:"step_size"`    // step: steps between two drops of the rate
	Gamma       float64 `yaml:"gamma"`        // step: factor of a drop
	MinLR       float64 `yaml:"min_lr"`       // cosine: rate at the end
	Clip        float64 `yaml:"clip"`         // largest norm of the gradient, 0: none
	// decay of an average of the weights, such as 0.999, which is evaluated and written in their place; 0: none
	EMA float64 `yaml:"ema"`

	Own settings.Values `yaml:",inline"` // settings of single optimizers
}

// Objective says what is minimised.
type Objective struct {
	Kind string `yaml:"kind"` // cross_entropy | accuracy | contrastive

	Own settings.Values `yaml:",inline"` // settings of single objectives
}

// Prompt says what is learned in front of a frozen model.
type Prompt struct {
	Kind  string `yaml:"kind"`  // none | frame | tokens | context | text-subspace
	Width int    `yaml:"width"` // frame: pixels; coordinator: cells of a side
	Mode  string `yaml:"mode"`  // frame: over | around | coordinator
	Count int    `yaml:"count"` // tokens, vectors of a context, or numbers of a coordinator's trigger
	Deep  bool   `yaml:"deep"`  // tokens: every block has tokens of its own
	// context, text-subspace: words that it begins with, of count pieces; empty: random numbers
	Words    string `yaml:"words"`
	PerClass bool   `yaml:"per_class"` // context, text-subspace: every class has a context of its own
	// queries that share their noise are answered by the exact slope of the loss at the logits, where it has one
	Exact   bool    `yaml:"exact"`
	Rank    int     `yaml:"rank"` // text-subspace: of the matrix that is added to the context
	Dim     int     `yaml:"dim"`  // text-subspace: numbers that are trained
	Mapping Mapping `yaml:"mapping"`
}

// Mapping turns the model's classes into the task's.
type Mapping struct {
	Kind   string `yaml:"kind"`   // identity | given | learned (one to one) | linear (learned)
	Given  []int  `yaml:"given"`  // given: the model's class of each task class
	Images int    `yaml:"images"` // learned, linear: images per class to look at
}

// Train says how long and on what.
type Train struct {
	Steps     int   `yaml:"steps"`      // updates to make
	BatchSize int   `yaml:"batch_size"` // images of a step
	Seed      int64 `yaml:"seed"`       // decides every random number of the run
	EvalEvery int   `yaml:"eval_every"` // 0: at the end only
	// images of the test and of the validation split to look at, as many of each class, chosen by data.split_seed; 0: all
	EvalImages int `yaml:"eval_images"`
	// what every evaluation measures beside accuracy and loss; docs/metrics.md lists them
	Metrics     []string `yaml:"metrics"`
	Cosine      bool     `yaml:"cosine"`      // at every evaluation, compare the step's gradient with backpropagation's
	LogEvery    int      `yaml:"log_every"`   // steps between two lines of metrics.jsonl
	TensorBoard bool     `yaml:"tensorboard"` // write event files into the run folder's tb/
	Threads     int      `yaml:"threads"`     // 0: every core
	Device      string   `yaml:"device"`      // auto | cpu | cuda | cuda:N
	Precision   string   `yaml:"precision"`   // fp32 | bf16 | tf32 (a GPU): of matrix products
	// auto | off | memory | disk: where what the part below everything trained makes of an image is kept, so that it is
	// made once
	Cache          string  `yaml:"cache"`
	CacheDir       string  `yaml:"cache_dir"`       // disk: the folder, which runs may share; empty: cache/ in the run folder
	OnDivergence   string  `yaml:"on_divergence"`   // stop | rollback
	RollbackFactor float64 `yaml:"rollback_factor"` // what the rate is multiplied by at a rollback
	MaxRollbacks   int     `yaml:"max_rollbacks"`   // rollbacks before the run stops
}

// Checkpoint says what is saved and kept.
type Checkpoint struct {
	Every    int  `yaml:"every"`     // steps; 0: at the end only
	KeepLast int  `yaml:"keep_last"` // newest checkpoints that stay, 0: all
	KeepBest bool `yaml:"keep_best"` // the checkpoint that measured best stays too; false: as best: none
	// auto | validation | test | none: the split that the best checkpoint is chosen by; auto: validation where there is
	// one, else test
	Best string `yaml:"best"`
	// the metric that the best checkpoint is chosen by, such as loss or one of train.metrics; empty: accuracy, or what
	// stands for it
	BestMetric string `yaml:"best_metric"`
}

// Cluster says who else takes part in a run, and how. It decides nothing that the run
// writes, and is no part of what a run is known by.
type Cluster struct {
	NATS     string `yaml:"nats"`      // embedded, or the addresses of NATS servers; empty: the run is on its own
	Listen   string `yaml:"listen"`    // embedded: host:port of its server
	Key      string `yaml:"key"`       // file with the nkey seed of this process; empty: RUN/cluster/coordinator.nk
	Creds    string `yaml:"creds"`     // credentials file of servers outside
	CAFile   string `yaml:"ca_file"`   // PEM certificates to trust
	CertFile string `yaml:"cert_file"` // embedded: PEM certificate of its server; the connections are then TLS
	KeyFile  string `yaml:"key_file"`  // embedded: PEM key of that certificate
	Task     string `yaml:"task"`      // what a worker is given at a time should take this long, a Go duration
	AckWait  string `yaml:"ack_wait"`  // a worker that was not heard of for so long has lost its task
	// a task is given to another when it takes so many times the 95th percentile; 0: only when its worker is lost
	Speculate float64 `yaml:"speculate"`
	Verify    float64 `yaml:"verify"`   // share of the results that are computed again and compared
	Numerics  string  `yaml:"numerics"` // strict: workers have this machine's arithmetic | journal: others may take part
	Work      bool    `yaml:"work"`     // this machine answers queries, too
}

// Default is the experiment that an empty file describes, less its data.
func Default() Config {
	return Config{
		Model: Model{Kind: "local", Head: "auto", Binary: "auto", InFlight: 4, MaxBatch: 64, Timeout: "30s", Retries: 5,
			Arch: Arch{Image: 32, Patch: 4, Chans: 3, Hidden: 128, Layers: 6, Heads: 4, MLP: 512}},
		Data: Data{Kind: "folder", Train: "train", Test: "test", OnBad: "refuse", EXIF: "turn", Count: 2000, TestCount: 500,
			Size: 32},
		Sites: Sites{Blocks: "last-1", Classifier: true, Train: parts.All, Own: owned("sites"),
			Kinds: []string{"query", "key", "value", "attn_out", "mlp_in", "mlp_out"}},
		Estimator: Estimator{Name: "activation", Sigma: 0.01,
			StructuralMask: true, Noise: "gaussian", QMC: "none", Own: owned("estimator")},
		Allocator: Allocator{Name: "neyman", MinQueries: 1, Window: 50, Scope: "image", LeastChance: 0.25,
			Standardise: true, Own: owned("allocator")},
		Budget: Budget{QueriesPerImage: 1, Unit: "queries"},
		Optimizer: Optimizer{Name: "adamw", LR: 1e-3, Schedule: "constant", StepSize: 100, Gamma: 0.1, Clip: 0,
			Own: owned("optimizer")},
		Objective: Objective{Kind: "cross_entropy", Own: owned("objective")},
		Prompt: Prompt{Kind: "none", Width: 4, Mode: "over", Count: 8, Exact: true, Rank: 5, Dim: 500,
			Mapping: Mapping{Kind: "identity", Images: 16}},
		Train: Train{Steps: 100, BatchSize: 64, LogEvery: 1, TensorBoard: true, Device: "auto", Precision: "fp32",
			Cache:        "auto",
			OnDivergence: "stop", RollbackFactor: 0.5, MaxRollbacks: 3},
		Checkpoint: Checkpoint{KeepLast: 2, KeepBest: true, Best: "auto"},
		Cluster: Cluster{Listen: "127.0.0.1:4222", Task: "100ms", AckWait: "5s", Speculate: 2, Verify: 0.01,
			Numerics: "strict", Work: true},
	}
}
