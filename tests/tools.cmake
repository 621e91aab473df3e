# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# The programs that some tests need and the library does not: all are looked for
# here, once. Without one of them its tests are left out, and configuring says so;
# with PVM_REQUIRE_TEST_TOOLS (scripts/test) it is an error instead.
option(PVM_REQUIRE_TEST_TOOLS "Fail if a program is missing that a test needs" OFF)

# pvm_tool_missing(TOOL PACKAGE TESTS)
function(pvm_tool_missing tool package tests)
  set_property(GLOBAL APPEND PROPERTY PVM_TOOLS_MISSING
    "${tool} is missing (Debian: ${package}): ${tests}")
endfunction()

# pvm_test_tool(VARIABLE PACKAGE TESTS NAME...): the program's path, or VARIABLE-NOTFOUND.
function(pvm_test_tool variable package tests)
  find_program(${variable} NAMES ${ARGN})
  if(NOT ${variable})
    list(GET ARGN -1 name)
    pvm_tool_missing(${name} ${package} ${tests})
  endif()
endfunction()

find_package(Python3 COMPONENTS Interpreter)
if(NOT Python3_FOUND)
  pvm_tool_missing(python3 python3 "ring0, bochs, proof, docs")
endif()
pvm_test_tool(QEMU qemu-system-x86 "ring0" qemu-system-x86_64)
pvm_test_tool(BUSYBOX busybox-static "kvm, linux" busybox)
pvm_test_tool(CPIO cpio "kvm, linux" cpio)
pvm_test_tool(ZSTD zstd "linux" zstd)
pvm_test_tool(LZ4 lz4 "linux" lz4)
pvm_test_tool(XZ xz-utils "kvm" xz)
pvm_test_tool(DPKG_DEB dpkg "packages" dpkg-deb)
find_program(MODINFO modinfo PATHS /usr/sbin /sbin)
if(NOT MODINFO)
  pvm_tool_missing(modinfo kmod "packages")
endif()
pvm_test_tool(BOCHS bochs "bochs" bochs)
pvm_test_tool(GRUB_MKRESCUE grub-common "bochs" grub-mkrescue)
pvm_test_tool(XORRISO xorriso "bochs" xorriso)
pvm_test_tool(MFORMAT mtools "bochs" mformat)
pvm_test_tool(SPIN spin "proof" spin)
pvm_test_tool(PKG_CONFIG pkgconf "docs.installed, ring0.embedding" pkg-config)
pvm_test_tool(MAN man-db "docs.man-page-lint" man)
pvm_test_tool(GROFF groff-base "docs.man-page-lint" groff)

# libFuzzer comes with clang, but not always with clang's package.
pvm_test_tool(PVM_FUZZ_CC clang "fuzz" clang-14 clang)
set(PVM_FUZZER OFF)
if(PVM_FUZZ_CC)
  execute_process(COMMAND ${PVM_FUZZ_CC} -print-file-name=libclang_rt.fuzzer-x86_64.a
    OUTPUT_VARIABLE runtime OUTPUT_STRIP_TRAILING_WHITESPACE)
  execute_process(COMMAND ${PVM_FUZZ_CC} -print-resource-dir
    OUTPUT_VARIABLE resources OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(EXISTS ${runtime} OR EXISTS ${resources}/lib/linux/libclang_rt.fuzzer-x86_64.a)
    set(PVM_FUZZER ON)
  else()
    pvm_tool_missing("libFuzzer of ${PVM_FUZZ_CC}" "libclang-rt-dev, libclang-rt-14-dev" "fuzz")
  endif()
endif()

# A test that finds at run time that it lacks something ends with status 77.
set(PVM_MAY_SKIP SKIP_RETURN_CODE 77)
if(PVM_REQUIRE_TEST_TOOLS)
  set(PVM_MAY_SKIP)
endif()

get_property(missing GLOBAL PROPERTY PVM_TOOLS_MISSING)
foreach(line IN LISTS missing)
  message(STATUS "Tests are left out: ${line}")
endforeach()
if(missing AND PVM_REQUIRE_TEST_TOOLS)
  list(JOIN missing "\n  " text)
  message(FATAL_ERROR "Programs that tests need (PVM_REQUIRE_TEST_TOOLS):\n  ${text}")
endif()
