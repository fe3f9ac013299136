// Compiles each file for each card by the NVRTC that the dynamic linker finds: 77 where there is none.
#include <cstdio>
#include <dlfcn.h>
#include <string>
#include <vector>

int main(int count, char **files) {
    void *library = nullptr;
    for (const char *name : {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"})
        if (!library) library = dlopen(name, RTLD_NOW);
    if (!library) return 77;
    typedef void *Program;
    auto create = (int (*)(Program *, const char *, const char *, int, const char *const *, const char *const *)) dlsym(library, "nvrtcCreateProgram");
    auto compile = (int (*)(Program, int, const char *const *)) dlsym(library, "nvrtcCompileProgram");
    auto log_size = (int (*)(Program, size_t *)) dlsym(library, "nvrtcGetProgramLogSize");
    auto get_log = (int (*)(Program, char *)) dlsym(library, "nvrtcGetProgramLog");
    auto version = (int (*)(int *, int *)) dlsym(library, "nvrtcVersion");
    int failures = 0, major = 0, minor = 0;
    version(&major, &minor);
    for (int index = 1; index < count; index++) {
        std::string source;
        FILE *file = fopen(files[index], "rb");
        for (int letter; (letter = fgetc(file)) != EOF;) source += (char) letter;
        fclose(file);
        for (const char *card : {"--gpu-architecture=sm_80", "--gpu-architecture=sm_90"}) {
            Program program;
            if (create(&program, source.c_str(), files[index], 0, nullptr, nullptr)) return 2;
            if (compile(program, 1, &card)) {
                size_t size = 0;
                log_size(program, &size);
                std::vector<char> log(size + 1);
                get_log(program, log.data());
                printf("%s %s\n%s\n%s\n", files[index], card, log.data(), source.c_str());
                failures++;
            }
        }
    }
    printf("NVRTC %d.%d\n", major, minor);
    return failures ? 1 : 0;
}
