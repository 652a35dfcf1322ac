// A GPU that is none: the functions of the CUDA runtime, driver, NVRTC and nvJPEG that the product calls, on the CPU. Its device memory is the heap, its streams do everything at
// once, its JPEG decoder is libjpeg-turbo, and its one kernel is the product's own source, compiled for this machine. It refuses what the libraries' documentation forbids.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <atomic>

struct Dimensions { unsigned x, y, z; };
static thread_local Dimensions blockIdx, blockDim, threadIdx;
#define __global__
#define __device__
#include "scale.cu"

static std::atomic<long> allocated{0};
static std::atomic<int> failing{0};
static std::atomic<int> engines{0};
static std::atomic<long> batches{0};
static char kernelName;
static char programName;

extern "C" {
// What tests ask and set.
long emulated_allocated() { return allocated; }
void emulated_fail(int code) { failing = code; }
void emulated_engines(int present) { engines = present; }
long emulated_batches() { return batches; }

const char* cudaGetErrorString(int) { return "an illegal memory access was encountered"; }
int cudaSetDevice(int device) { return device == 0 ? 0 : 101; }
int cudaStreamCreateWithFlags(void** stream, unsigned) { allocated++; *stream = malloc(1); return 0; }
int cudaStreamDestroy(void* stream) { allocated--; free(stream); return 0; }
int cudaStreamSynchronize(void*) { return failing; }
int cudaMalloc(void** memory, size_t bytes) { allocated++; *memory = malloc(bytes); return 0; }
int cudaFree(void* memory) { if (memory) allocated--; free(memory); return 0; }
int cudaHostAlloc(void** memory, size_t bytes, unsigned) { return cudaMalloc(memory, bytes); }
int cudaFreeHost(void* memory) { return cudaFree(memory); }
int cudaMemcpyAsync(void* target, const void* source, size_t bytes, int, void*) { memcpy(target, source, bytes); return 0; }

int cuGetErrorString(int, const char** text) { *text = "invalid device function"; return 0; }
int cuModuleLoadData(void** module, const void* image) { *module = &kernelName; return strstr((const char*)image, "extern \"C\" __global__ void scale") ? 0 : 218; }
int cuModuleGetFunction(void** function, void* module, const char* name) { *function = module; return strcmp(name, "scale") == 0 ? 0 : 500; }
int cuLaunchKernel(void*, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned, void*, void** parameters, void**)
{
    if (bx * by * bz > 1024) return 1;
    blockDim = {bx, by, bz};
    for (blockIdx.z = 0; blockIdx.z < gz; blockIdx.z++)
    for (blockIdx.y = 0; blockIdx.y < gy; blockIdx.y++)
    for (blockIdx.x = 0; blockIdx.x < gx; blockIdx.x++)
    for (threadIdx.y = 0; threadIdx.y < by; threadIdx.y++)
    for (threadIdx.x = 0; threadIdx.x < bx; threadIdx.x++)
        scale(*(const Picture**)parameters[0], *(int*)parameters[1], *(int*)parameters[2]);
    return 0;
}

static const char* source;
int nvrtcCreateProgram(void** program, const char* text, const char*, int, const char**, const char**) { source = strdup(text); *program = &programName; return 0; }
int nvrtcCompileProgram(void*, int count, const char** options) { return count == 1 && strncmp(options[0], "--gpu-architecture=compute_", 26) == 0 ? 0 : 6; }
int nvrtcGetPTXSize(void*, size_t* size) { *size = strlen(source) + 1; return 0; }
int nvrtcGetPTX(void*, char* text) { strcpy(text, source); return 0; }
int nvrtcGetProgramLogSize(void*, size_t* size) { *size = 1; return 0; }
int nvrtcGetProgramLog(void*, char* text) { *text = 0; return 0; }
int nvrtcDestroyProgram(void** program) { *program = nullptr; return 0; }

struct State { int count; };
struct Image { unsigned char* channel[4]; size_t pitch[4]; };
int nvjpegCreateEx(int backend, void*, void*, unsigned, void** handle)
{
    if (backend == 3 && !engines) return 7;
    allocated++;
    *handle = malloc(1);
    return 0;
}
int nvjpegDestroy(void* handle) { allocated--; free(handle); return 0; }
int nvjpegJpegStateCreate(void*, void** state) { allocated++; *state = new State{0}; return 0; }
int nvjpegJpegStateDestroy(void* state) { allocated--; delete (State*)state; return 0; }
int nvjpegDecodeBatchedInitialize(void*, void* state, int count, int threads, int format)
{
    if (count < 1 || threads < 1 || format != 5) return 2;
    ((State*)state)->count = count;
    return 0;
}
int nvjpegDecodeBatched(void*, void* state, const unsigned char* const* data, const size_t* lengths, Image* targets, void*)
{
    static void* library = dlopen("libturbojpeg.so.0", RTLD_NOW);
    static auto init = (void* (*)())dlsym(library, "tjInitDecompress");
    static auto destroy = (int (*)(void*))dlsym(library, "tjDestroy");
    static auto header = (int (*)(void*, const unsigned char*, unsigned long, int*, int*, int*, int*))dlsym(library, "tjDecompressHeader3");
    static auto decompress = (int (*)(void*, const unsigned char*, unsigned long, unsigned char*, int, int, int, int, int))dlsym(library, "tjDecompress2");
    int count = ((State*)state)->count;
    if (count == 0) return 1;
    batches++;
    int status = 0;
    for (int i = 0; i < count && status == 0; i++)
    {
        void* decoder = init();
        int width, height, subsampling, colours;
        if (header(decoder, data[i], lengths[i], &width, &height, &subsampling, &colours) != 0) status = 3;
        else if (targets[i].pitch[0] < (size_t)width * 3) status = 2;
        else if (decompress(decoder, data[i], lengths[i], targets[i].channel[0], width, (int)targets[i].pitch[0], height, 0, 0) != 0) status = 3;
        destroy(decoder);
    }
    // A batch that failed leaves a state that must be initialized again.
    if (status != 0) ((State*)state)->count = 0;
    return status;
}
}
