// Crops and scales decoded pictures on the device, a thread a pixel of the result: what Frames/AreaScaler.cs does on the CPU to what libjpeg-turbo decodes at a scale of
// 1/2, 1/4 or 1/8. Its scaled inverse DCT is the mean of the full one over squares of 2, 4 or 8 pixels, so both draw the same picture.
struct Picture
{
    const unsigned char* pixels; // [height, width, 3] uint8, RGB
    unsigned char* target;       // [targetHeight, targetWidth, 3] uint8, RGB
    int width;
    int height;
    int square;                  // side of the squares that are averaged first: 1, 2, 4 or 8
    int cropX;                   // the part that is kept, in squares
    int cropY;
    int cropWidth;
    int cropHeight;
};

// How much of square `at` lies under a pixel that covers [from, to), in units of 1 / targetSide of a square.
__device__ static float covered(long long from, long long to, long long at, int targetSide)
{
    long long first = at * targetSide > from ? at * targetSide : from;
    long long last = (at + 1) * targetSide < to ? (at + 1) * targetSide : to;
    return (float)(last - first);
}

extern "C" __global__ void scale(const Picture* pictures, int targetWidth, int targetHeight)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= targetWidth || y >= targetHeight) return;
    Picture p = pictures[blockIdx.z];
    long long fromX = (long long)x * p.cropWidth;
    long long toX = fromX + p.cropWidth;
    long long fromY = (long long)y * p.cropHeight;
    long long toY = fromY + p.cropHeight;
    float red = 0;
    float green = 0;
    float blue = 0;
    for (long long row = fromY / targetHeight; row * targetHeight < toY; row++)
    {
        float weightY = covered(fromY, toY, row, targetHeight);
        for (long long column = fromX / targetWidth; column * targetWidth < toX; column++)
        {
            float weight = weightY * covered(fromX, toX, column, targetWidth);
            long long top = (p.cropY + row) * p.square;
            long long left = (p.cropX + column) * p.square;
            // The last squares may reach over the edge: they are the mean of what is there.
            long long bottom = top + p.square < p.height ? top + p.square : p.height;
            long long right = left + p.square < p.width ? left + p.square : p.width;
            int sumRed = 0;
            int sumGreen = 0;
            int sumBlue = 0;
            for (long long i = top; i < bottom; i++)
            {
                const unsigned char* pixel = p.pixels + (i * p.width + left) * 3;
                for (long long j = left; j < right; j++, pixel += 3)
                {
                    sumRed += pixel[0];
                    sumGreen += pixel[1];
                    sumBlue += pixel[2];
                }
            }
            // Rounded, as the CPU's are: scores listen to energies so small that rounding is part of them.
            int count = (int)((bottom - top) * (right - left));
            red += weight * ((sumRed + count / 2) / count);
            green += weight * ((sumGreen + count / 2) / count);
            blue += weight * ((sumBlue + count / 2) / count);
        }
    }
    float whole = (float)p.cropWidth * (float)p.cropHeight;
    unsigned char* target = p.target + ((long long)y * targetWidth + x) * 3;
    target[0] = (unsigned char)(red / whole + 0.5f);
    target[1] = (unsigned char)(green / whole + 0.5f);
    target[2] = (unsigned char)(blue / whole + 0.5f);
}
