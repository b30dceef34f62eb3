module example.com/blackbox

go 1.26.0

require github.com/flops-vit/flops v0.0.0

require golang.org/x/sys v0.50.0 // indirect

replace github.com/flops-vit/flops => ../..
