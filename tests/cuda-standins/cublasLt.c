// Stands in for libcublasLt.
#include <stdlib.h>
#include <string.h>
int cublasLtCreate(void **handle) { *handle = calloc(1, 64); return 0; }
int cublasLtMatmulDescCreate(void **handle) { *handle = calloc(1, 64); return 0; }
int cublasLtMatmulPreferenceCreate(void **handle) { *handle = calloc(1, 64); return 0; }
int cublasLtMatrixLayoutCreate(void **handle) { *handle = calloc(1, 64); return 0; }
int cublasLtMatrixTransformDescCreate(void **handle) { *handle = calloc(1, 64); return 0; }
int cublasLtMatmulAlgoGetHeuristic(void *a, void *b, void *c, void *d, void *e, void *f, void *g, int asked, char *result, int *found) { memset(result, 0, 128); *found = 1; return 0; }
