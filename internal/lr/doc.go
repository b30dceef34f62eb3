// Package lr estimates gradients from forward passes alone by the
// likelihood-ratio method (DESIGN 3.1 and 3.2; Ren et al., ICLR 2025, arXiv
// 2410.05966, equations 3 to 5): it plans the queries of a step, turns their
// losses into coefficients c_ip, and hands the coefficients back to the model,
// which turns them into gradients. It knows a model only as a query.Model.
//
// Every estimate weighs direction p of image i by 1/(B·P_i), where P_i is the
// number of directions of that image. That weight is what keeps the mean equal
// to the gradient of the smoothed loss for every allocation.
package lr
