# hairpind_bpf_object(OUTPUT SOURCE [FLAG...]): compiles SOURCE, of the current directory, for the kernel. Rebuilt when any header
# it includes changes (DEPFILE).
# Its lines name their files, for the verifier: not where they were built, or each place would make another image.
find_program(BPF_CLANG NAMES clang-19 clang-20 clang-18 clang REQUIRED)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(HAIRPIND_BPF_ARCH arm64)
else()
  set(HAIRPIND_BPF_ARCH x86)
endif()

function(hairpind_bpf_object output source)
  # clang for the bpf target has no multiarch include directory of its own.
  set(includes -I${PROJECT_SOURCE_DIR}/include -I${CMAKE_CURRENT_SOURCE_DIR})
  if(CMAKE_SYSROOT)
    list(APPEND includes --sysroot=${CMAKE_SYSROOT})
  endif()
  if(CMAKE_LIBRARY_ARCHITECTURE)
    list(APPEND includes -isystem ${CMAKE_SYSROOT}/usr/include/${CMAKE_LIBRARY_ARCHITECTURE})
  endif()
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${BPF_CLANG} -g -O2 -target bpf -mcpu=v3 -std=gnu11 -D__TARGET_ARCH_${HAIRPIND_BPF_ARCH}
            -Wall -Wextra -Werror -Wno-unused-parameter -ffile-prefix-map=${PROJECT_SOURCE_DIR}/= ${includes} ${ARGN}
            -MD -MF ${output}.d -MT ${output}
            -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${output}
    DEPENDS ${source}
    DEPFILE ${output}.d
    COMMENT "Compiling ${source}"
    VERBATIM)
endfunction()
