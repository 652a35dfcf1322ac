// Stands in for libcudart: device memory is the heap, kernels do nothing, and what is asked of it is logged.
#include <stdint.h>
#include <string.h>

struct dim { unsigned x, y, z; };
static struct { const void *function; const char *name; } kernels[1 << 16];
static int kernel_count;
static __thread struct { struct dim grid, block; size_t shared; void *stream; } pushed;

static int take(void **memory, size_t bytes) { *memory = aligned_alloc(256, (bytes + 511) / 256 * 256); return 0; }
static int handle(void **created) { *created = calloc(1, 64); return 0; }

int cudaMalloc(void **memory, size_t bytes) { return take(memory, bytes); }
int cudaMallocHost(void **memory, size_t bytes) { return take(memory, bytes); }
int cudaHostAlloc(void **memory, size_t bytes, unsigned flags) { return take(memory, bytes); }
int cudaFree(void *memory) { free(memory); return 0; }
int cudaFreeHost(void *memory) { free(memory); return 0; }
int cudaMemset(void *memory, int value, size_t bytes) { memset(memory, value, bytes); return 0; }
int cudaMemsetAsync(void *memory, int value, size_t bytes, void *stream) { memset(memory, value, bytes); return 0; }
int cudaMemcpy(void *target, const void *source, size_t bytes, int kind) { memcpy(target, source, bytes); return LOG("copy-blocking kind %d\n", kind); }
int cudaMemcpyAsync(void *target, const void *source, size_t bytes, int kind, void *stream) { memcpy(target, source, bytes); return LOG("copy kind %d bytes %zu stream %p\n", kind, bytes, stream); }
int cudaGetDeviceCount(int *count) { *count = 1; return 0; }
int cudaGetDevice(int *device) { *device = 0; return 0; }
int cudaDriverGetVersion(int *version) { *version = 13000; return 0; }
int cudaRuntimeGetVersion(int *version) { *version = 13000; return 0; }
int cudaMemGetInfo(size_t *free_bytes, size_t *total) { *free_bytes = 70ul << 30; *total = 80ul << 30; return 0; }
int cudaDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute == 75 ? 9 : attribute == 76 ? 0 : 128; return 0; }
int cudaGetDeviceProperties(char *properties, int device)
{
    // The layout of CUDA 13: name, memory, limits, and compute capability 9.0.
    memset(properties, 0, 1008);
    strcpy(properties, "stand-in");
    *(size_t *)(properties + 288) = 80ul << 30;
    *(size_t *)(properties + 296) = 49152;
    int limits[] = {65536, 32, 0, 0, 1024, 1024, 1024, 64, 2147483647, 65535, 65535};
    memcpy(properties + 304, limits, sizeof limits);
    *(int *)(properties + 360) = 9;
    *(int *)(properties + 384) = *(int *)(properties + 388) = 132;
    return 0;
}
const char *cudaGetErrorString(int code) { return "error of the stand-in"; }
const char *cudaGetErrorName(int code) { return "standIn"; }
int cudaStreamCreate(void **stream) { return handle(stream); }
int cudaStreamCreateWithFlags(void **stream, unsigned flags) { return handle(stream); }
int cudaStreamSynchronize(void *stream) { return LOG("synchronize stream %p\n", stream); }
int cudaStreamIsCapturing(void *stream, int *status) { *status = 0; return 0; }
int cudaStreamBeginCapture(void *stream, int mode) { return LOG("record stream %p\n", stream); }
int cudaStreamEndCapture(void *stream, void **graph) { handle(graph); return LOG("recorded stream %p\n", stream); }
int cudaGraphInstantiate(void **executable, void *graph, unsigned long long flags) { return handle(executable); }
int cudaGraphLaunch(void *executable, void *stream) { return LOG("replay stream %p\n", stream); }
int cudaEventCreate(void **event) { return handle(event); }
int cudaEventCreateWithFlags(void **event, unsigned flags) { return handle(event); }
int cudaMemPoolCreate(void **pool, void *properties) { return handle(pool); }
int cudaFuncGetAttributes(void *attributes, void *function) { memset(attributes, 0, 64); return 0; }
void *__cudaRegisterFatBinary(void *binary) { static void *handles[4]; return handles; }
void __cudaRegisterFunction(void **handles, const char *function, char *device, const char *name, int limit, void *a, void *b, void *c, void *d, int *size)
{
    if (kernel_count < 1 << 16) { kernels[kernel_count].function = function; kernels[kernel_count++].name = name; }
}
int __cudaGetKernel(void **kernel, const void *function) { *kernel = (void *)function; return 0; }
unsigned __cudaPushCallConfiguration(struct dim grid, struct dim block, size_t shared, void *stream) { pushed.grid = grid; pushed.block = block; pushed.shared = shared; pushed.stream = stream; return 0; }
int __cudaPopCallConfiguration(struct dim *grid, struct dim *block, size_t *shared, void **stream) { *grid = pushed.grid; *block = pushed.block; *shared = pushed.shared; *stream = pushed.stream; return 0; }
int __cudaLaunchKernel(void *kernel, struct dim grid, struct dim block, void **arguments, size_t shared, void *stream)
{
    const char *name = "?";
    for (int i = 0; i < kernel_count; i++) if (kernels[i].function == kernel) { name = kernels[i].name; break; }
    return LOG("kernel %s stream %p\n", name, stream);
}
