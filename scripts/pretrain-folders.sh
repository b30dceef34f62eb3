#!/bin/sh
# Writes the five classes of CIFAR-10 that the model of configs/pretrain-cifar5.yaml
# is made from as class folders.
# usage: scripts/pretrain-folders.sh [CIFAR_FOLDER [OUTPUT]]     (default: data/cifar-10-batches-bin data/cifar10-5)
set -eu
from=${1:-data/cifar-10-batches-bin}
to=${2:-data/cifar10-5}
flops=${FLOPS:-bin/flops}
if [ ! -d "$from" ]; then
	echo "pretrain-folders: error: $from is not there" >&2
	echo "pretrain-folders: hint: run scripts/fetch-cifar.sh cifar10" >&2
	exit 2
fi
exec "$flops" data export --kind cifar10 --path "$from" --classes airplane,bird,deer,frog,ship --output "$to"
