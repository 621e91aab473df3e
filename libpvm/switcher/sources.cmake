# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
list(APPEND PVM_SOURCES
  switcher/cpu.c
  switcher/debug.c
  switcher/detect.c
  switcher/entry.S
  switcher/flush.c
  switcher/host_vector.S
  switcher/ldt.c
  switcher/mitigate.c
  switcher/run.c
  switcher/switcher.c
  switcher/tables.c
  switcher/tag.c
  switcher/vm.c)

# offsets.h for the assembly, from the structures: never typed twice.
set(PVM_OFFSETS ${CMAKE_CURRENT_BINARY_DIR}/offsets.h)
add_custom_command(OUTPUT ${PVM_OFFSETS}
  COMMAND ${CMAKE_C_COMPILER} -std=gnu11 -O1 -ffreestanding -fno-lto -I${PROJECT_SOURCE_DIR}/include
    -I${CMAKE_CURRENT_SOURCE_DIR} -S ${CMAKE_CURRENT_SOURCE_DIR}/switcher/offsets.c -o offsets.s
  COMMAND ${CMAKE_COMMAND} -DIN=offsets.s -DOUT=${PVM_OFFSETS}
    -P ${CMAKE_CURRENT_SOURCE_DIR}/switcher/offsets.cmake
  DEPENDS switcher/offsets.c switcher/offsets.cmake switcher/area.h
    ${PROJECT_SOURCE_DIR}/include/pvm/switcher.h ${PROJECT_SOURCE_DIR}/include/pvm/vcpu.h internal.h
  VERBATIM)
add_custom_target(pvm-offsets DEPENDS ${PVM_OFFSETS})
file(GLOB PVM_ENTRY_PARTS CONFIGURE_DEPENDS switcher/*.S switcher/entry.h abi/list.h abi/*/direct.[Sh])
set_source_files_properties(switcher/entry.S PROPERTIES OBJECT_DEPENDS "${PVM_ENTRY_PARTS};${PVM_OFFSETS}")
