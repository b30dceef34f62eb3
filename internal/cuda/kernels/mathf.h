// Elementary functions in float32 from explicit fused multiply-adds. There is
// no libdevice in the build, and these give the same bits on the host.
#pragma once
#include "device.h"

// exp_sum_f is e^(x + low) for a small low, within 2 ulp, denormal results
// included. x = n ln 2 + r, e^r = 1 + r + r² P(r), P of degree 5 by
// interpolation at the Chebyshev nodes of |r| ≤ ln 2 / 2 (error 4e-9), and 2^n
// is multiplied in two halves so that neither overflows.
DEVICE float exp_sum_f(float x, float low) {
	if (!(x < 88.8f))
		return x != x ? x : __builtin_inff();
	if (x < -104.0f)
		return 0.0f;
	float n = fma32(x, 1.44269502f, 12582912.0f) - 12582912.0f;
	float r = fma32(n, -0.693359375f, x); // exact: 9 bits of ln 2
	r = fma32(n, 2.12194440e-4f, r) + low;
	float p = 0.00019890980911441147f;
	p = fma32(p, r, 0.0013933641603216529f);
	p = fma32(p, r, 0.0083333104848861694f);
	p = fma32(p, r, 0.041666466742753983f);
	p = fma32(p, r, 0.1666666716337204f);
	p = fma32(p, r, 0.5f);
	float y = fma32(p * r, r, r) + 1.0f;
	int k = (int)n, h = k >> 1;
	return y * bits_float((u32)(h + 127) << 23) * bits_float((u32)(k - h + 127) << 23);
}

// exp_f is e^x; e^-Inf = 0, e^+Inf = +Inf, NaN stays NaN.
DEVICE float exp_f(float x) { return exp_sum_f(x, 0.0f); }

// log_f is ln x within 2 ulp for normal positive x: internal/noise has the
// derivation and the same coefficients.
DEVICE float log_f(float x) {
	const u32 half = 0x3F3504F3u; // bits of √½
	int d = (int)(float_bits(x) - half), e = d >> 23;
	float f = bits_float((u32)(d - (int)((u32)e << 23)) + half) - 1.0f, k = (float)e;
	float p = -0.07634472846984863f;
	p = fma32(p, f, 0.12761561572551727f);
	p = fma32(p, f, -0.13160185515880585f);
	p = fma32(p, f, 0.14201761782169342f);
	p = fma32(p, f, -0.16623356938362122f);
	p = fma32(p, f, 0.20001226663589478f);
	p = fma32(p, f, -0.2500081956386566f);
	p = fma32(p, f, 0.3333333134651184f);
	float z = f * f, y = f * z * p;
	y = fma32(k, -2.12194440e-4f, y);
	y = fma32(-0.5f, z, y);
	return fma32(k, 0.693359375f, f + y);
}

// normal_tail is w·Q(t) with Q(t) = 1 − Φ(t) for t ≥ 0, within 4 ulp down to the
// denormal numbers: e^(−t²/2) R(t), with t² in two parts, and R(t)(1 + 1.5 t) a
// polynomial of degree 10 in (t−4)/(t+4), interpolated for t ≤ 14.5.
DEVICE float normal_tail(float t, float w) {
	if (!(t < 14.5f))
		return t != t ? t : 0.0f * w;
	float q = (t - 4.0f) / (t + 4.0f);
	float p = -0.000114446499f;
	p = fma32(p, q, -7.04309641e-05f);
	p = fma32(p, q, 0.00112382998f);
	p = fma32(p, q, -0.000775210967f);
	p = fma32(p, q, -0.00775618944f);
	p = fma32(p, q, 0.0311567914f);
	p = fma32(p, q, -0.0637290925f);
	p = fma32(p, q, 0.078753598f);
	p = fma32(p, q, -0.0411901809f);
	p = fma32(p, q, -0.0598563366f);
	p = fma32(p, q, 0.660874486f);
	float hi = t * t, lo = fma32(t, t, -hi);
	return exp_sum_f(-0.5f * hi, -0.5f * lo) * (w * (p / fma32(1.5f, t, 1.0f)));
}

// gelu_f is x Φ(x), the exact GELU (Hendrycks and Gimpel, arXiv 1606.08415),
// within 4 ulp on both sides; -Inf gives -0.
DEVICE float gelu_f(float x) {
	if (x >= 0.0f)
		return x * (1.0f - normal_tail(x, 1.0f));
	return normal_tail(-x, x < -14.5f ? -14.5f : x);
}

// gelu_grad_f is Φ(x) + x φ(x), absolute error below 3e-7.
DEVICE float gelu_grad_f(float x) {
	float t = x < 0.0f ? -x : x, tail = normal_tail(t, 1.0f);
	float cdf = x < 0.0f ? tail : 1.0f - tail;
	float hi = t < 14.5f ? t * t : 210.0f;
	float pdf = 0.398942280f * exp_f(-0.5f * hi);
	return fma32(t < 14.5f ? x : 0.0f, pdf, cdf);
}
