# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# The target `coverage` (with -DPVM_COVERAGE=ON): runs the tests that count,
# then measures the lines of libpvm they reach. Fails below the owner's limit.
set(PVM_COVERAGE_MINIMUM 95)	# percent of libpvm's lines

# What executes privileged instructions runs in emulated machines only, where nothing counts
# lines: ring0.* and bochs.* test it, and ring0.everywhere.* says which of the assembly's
# instructions are reached. They are excluded by name below.
find_program(GCOVR gcovr REQUIRED)
add_custom_target(coverage
  COMMAND find ${CMAKE_BINARY_DIR} -name "*.gcda" -delete
  COMMAND ${CMAKE_CTEST_COMMAND} -L "^(unit|model|guest)$" -j 2 --output-on-failure --no-tests=error
  COMMAND ${GCOVR} --root ${PROJECT_SOURCE_DIR} --object-directory ${CMAKE_BINARY_DIR}
          --filter ${PROJECT_SOURCE_DIR}/libpvm/ --exclude ${PROJECT_SOURCE_DIR}/libpvm/switcher/cpu.c
          --exclude ${PROJECT_SOURCE_DIR}/libpvm/switcher/debug.c
          --exclude ${PROJECT_SOURCE_DIR}/libpvm/switcher/detect.c
          --exclude ${PROJECT_SOURCE_DIR}/libpvm/switcher/run.c
          --exclude ${PROJECT_SOURCE_DIR}/libpvm/switcher/hw.h --exclude-unreachable-branches
          --fail-under-line ${PVM_COVERAGE_MINIMUM} --print-summary
          --txt ${CMAKE_BINARY_DIR}/coverage.txt ${CMAKE_BINARY_DIR}
  WORKING_DIRECTORY ${CMAKE_BINARY_DIR} USES_TERMINAL VERBATIM)
