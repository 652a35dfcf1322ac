// Stands in for libcudnn: convolutions find no way to be computed, which ONNX Runtime logs and goes on.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
size_t cudnnGetVersion(void) { return 91300; }
size_t cudnnGetCudartVersion(void) { return 13000; }
const char *cudnnGetErrorString(int status) { return "status of the stand-in"; }
void cudnnGetLastErrorString(char *text, size_t size) { if (size) *text = 0; }
int cudnnBackendCreateDescriptor(int type, void **descriptor) { *descriptor = calloc(1, 64); return 0; }
int cudnnBackendGetAttribute(void *descriptor, int name, int type, int64_t asked, int64_t *count, void *elements) { if (count) *count = 1; if (elements && asked >= 1 && type != 15) memset(elements, 0, 8); return 0; }
