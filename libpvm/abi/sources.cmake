# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
# All of the folder: a guest ABI is a folder, and abi/list.h says which there are. Their direct.S
# are switcher/entry.S's.
file(GLOB PVM_ABI_SOURCES RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS abi/*.c abi/*/*.c)
list(APPEND PVM_SOURCES ${PVM_ABI_SOURCES})
