# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# cmake -DIN=offsets.s -DOUT=offsets.h -P offsets.cmake: the marks that offsets.c
# left in the compiler's output, as preprocessor constants.
file(STRINGS ${IN} marks REGEX "#OFFSET ")
set(text "/* Generated from libpvm/switcher/offsets.c. */\n")
foreach(mark IN LISTS marks)
  string(REGEX REPLACE ".*#OFFSET ([A-Z0-9_]+) (-?[0-9]+).*" "#define \\1 \\2\n" line "${mark}")
  string(APPEND text "${line}")
endforeach()
if(NOT text MATCHES "define CPU_FRAME")
  message(FATAL_ERROR "no offsets in ${IN}")
endif()
file(WRITE ${OUT} "${text}")
